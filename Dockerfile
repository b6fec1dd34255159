# The autograder where a machine offers no sandbox of its own: macOS, Windows, an old Linux.
# How to build and run it: the instructor's handbook, "Security", section "In a container".
FROM python:3.11.13-slim-bookworm

# Where pip finds PyTorch built without CUDA, which would add 5 GB: PyTorch's Get started page
# names that index.
ARG PIP_EXTRA_INDEX_URL=""

# libseccomp2: the filter of a student's system calls goes through it.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libseccomp2=2.5.4-* \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /course
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt

COPY pyproject.toml LICENSE LICENSE-text ./
COPY labs ./labs
COPY solutions ./solutions
COPY autograder ./autograder
COPY book/_config.yml ./book/_config.yml
RUN pip install --no-cache-dir --no-deps -e . -e ./labs \
    && useradd --create-home --uid 1000 grader \
    && mkdir build \
    && chown grader build

# Everything but build/ stays root's: who grades can't change what grades.
USER 1000
ENV PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["python", "-m", "autograder"]
CMD ["doctor"]
