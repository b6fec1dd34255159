"""A class of students who write the same six functions, each alone: for tests of similarity.

Every student has habits (names, spacing, comments, loops or numpy) and draws the rest by chance.
The answers are of the kind and length that labs ask for, so that many agree in most lines.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from random import Random
from typing import Any

NAMES = {
    "total": "total ret G result acc return_ res out value s",
    "reward": "reward r rew rw x",
    "step": "t step i k n idx",
    "target": "target td_target y goal new_value tgt",
    "error": "error delta td_error diff err",
    "future": "future next_value best_next nxt bootstrap max_q v_next",
    "probs": "probs p pi probabilities prob weights",
    "best": "best greedy best_actions candidates top argmaxes",
    "count": "n num_actions k n_actions size m",
    "scaled": "scaled z shifted x logits_scaled h",
    "exps": "exps e exp_z ex w exponentials numerator",
    "rows": "returns scores totals rs episode_returns results",
    "row": "row q q_row values q_obs qs",
}
WORDS = """
first last best next value reward of the state action a in terminal no future discount sum
backwards loop over all steps ties random explore greedy policy target update table move
towards numerically stable subtract max so exp does not overflow here we need this because
stop when episode ends keep going see slides week notes equation eq 6 8 from lecture check
shape should be fine works now finally careful dont forget todo ask trick simple version
"""
STUBS = {
    "discounted_return": "def discounted_return(rewards, gamma):",
    "softmax": "def softmax(logits, temperature):",
    "choose_action": "def choose_action(Q, obs, epsilon, rng):",
    "q_update": "def q_update(Q, obs, action, reward, next_obs, terminated, *, alpha, gamma):",
    "run_episode": "def run_episode(env, Q, *, epsilon, alpha, gamma, rng, max_steps):",
    "evaluate": "def evaluate(env, Q, *, epsilon, num_episodes, rng, max_steps):",
}
DOC = '    """Return what the lab asks for.\n\n    Args: as the text above says.\n    """\n'


@dataclasses.dataclass
class Habits:
    """How one student writes."""

    random: Random
    names: dict[str, str]
    comments: float
    wordy: float
    numpy: float
    tight: bool

    def one(self, *options: Any) -> Any:
        return self.random.choice(options)

    def likes(self, share: float) -> bool:
        return self.random.random() < share


def student(seed: int) -> dict[str, str]:
    """Return the six answers of a student, by exercise."""
    random = Random(seed)
    names = {role: random.choice(pool.split()) for role, pool in NAMES.items()}
    habits = Habits(
        random,
        names,
        random.choice((0.0, 0.0, 0.1, 0.3)),
        random.random(),
        random.random(),
        random.random() < 0.3,
    )
    return {name: _cell(name, write(habits), habits) for name, write in WRITERS.items()}


def stub(name: str) -> str:
    """Return the cell as it is released."""
    return f"{STUBS[name]}\n{DOC}    raise NotImplementedError()"


def _cell(name: str, body: str, habits: Habits) -> str:
    lines = []
    for line in body.strip("\n").splitlines():
        indent = " " * (len(line) - len(line.lstrip()))
        if habits.likes(habits.comments):
            words = " ".join(habits.random.sample(WORDS.split(), habits.random.randint(2, 7)))
            lines.append(f"    {indent}# {words}")
        lines.append("    " + line)
    text = "\n".join(lines)
    for role, chosen in habits.names.items():
        text = re.sub(rf"\${role}\b", chosen, text)
    if habits.tight:
        text = re.sub(r" (==|=|\*|\+|<|-) ", r"\1", text)
    return f"{STUBS[name]}\n{DOC}{text}"


def _discounted(h: Habits) -> str:
    if h.likes(h.numpy * 0.6):
        powers = h.one(
            "gamma ** np.arange(len(rewards))",
            "np.power(gamma, np.arange(len(rewards)))",
            "np.array([gamma ** i for i in range(len(rewards))])",
            "np.cumprod([1.0] + [gamma] * (len(rewards) - 1))",
        )
        end = h.one("np.sum({} * rewards)", "np.dot({}, rewards)", "({} * rewards).sum()")
        if h.likes(h.wordy):
            return f"$probs = {powers}\nreturn float({end.format('$probs')})"
        return h.one("return float({})", "return {}").format(end.format(powers))
    if h.likes(0.15):
        return (
            "return sum(" + h.one("gamma ** $step * $reward", "$reward * gamma ** $step") + " for "
            "$step, $reward in enumerate(rewards))"
        )
    start = "$total = " + h.one("0.0", "0", "0.")
    if h.likes(0.6):
        loop = h.one(
            "for $reward in reversed(rewards):",
            "for $reward in rewards[::-1]:",
            "for $step in range(len(rewards) - 1, -1, -1):\n    $reward = rewards[$step]",
            "for $step in reversed(range(len(rewards))):\n    $reward = rewards[$step]",
        )
        step = h.one(
            "$total = $reward + gamma * $total",
            "$total = gamma * $total + $reward",
            "$total *= gamma\n    $total += $reward",
        )
    else:
        loop = h.one(
            "for $step, $reward in enumerate(rewards):",
            "for $step in range(len(rewards)):\n    $reward = rewards[$step]",
        )
        step = h.one(
            "$total += gamma ** $step * $reward",
            "$total += $reward * gamma ** $step",
            "$total = $total + (gamma ** $step) * $reward",
        )
    return f"{start}\n{loop}\n    {step}\n" + h.one("return $total", "return float($total)")


def _softmax(h: Habits) -> str:
    check = h.one("temperature <= 0", "temperature <= 0.0", "not temperature > 0")
    error = h.one(
        '"temperature must be positive"',
        '"bad temperature"',
        'f"temperature is {temperature}"',
        '"temperature should be > 0"',
    )
    lines = [f"if {check}:", f"    raise ValueError({error})"]
    biggest = h.one("np.max($scaled)", "$scaled.max()", "max($scaled)")
    if h.likes(h.wordy):
        lines += ["$scaled = logits / temperature", f"$scaled = $scaled - {biggest}"]
    else:
        biggest = biggest.replace("$scaled", "logits")
        lines += [
            h.one(
                f"$scaled = (logits - {biggest}) / temperature",
                f"$scaled = logits / temperature - {biggest} / temperature",
            )
        ]
    lines.append("$exps = np.exp($scaled)")
    total = h.one("$exps.sum()", "np.sum($exps)", "sum($exps)")
    if h.likes(h.wordy * 0.6):
        lines += [f"$total = {total}", "$probs = $exps / $total", "return $probs"]
    else:
        lines.append(f"return $exps / {total}")
    return "\n".join(lines)


def _choose(h: Habits) -> str:
    lines = []
    where = "Q[obs]"
    if h.likes(h.wordy):
        lines.append(h.one("$row = Q[obs]", "$row = Q[obs, :]"))
        where = "$row"
    size = h.one("Q.shape[1]", f"len({where})")
    if h.likes(h.wordy * 0.7):
        lines.append(f"$count = {size}")
        size = "$count"
    explore = h.one(
        f"int(rng.integers({size}))",
        f"rng.integers({size})",
        f"int(rng.integers(0, {size}))",
        f"int(rng.choice({size}))",
    )
    biggest = h.one(f"{where}.max()", f"np.max({where})", f"max({where})")
    ties = h.one(
        f"np.flatnonzero({where} == {biggest})",
        f"np.where({where} == {biggest})[0]",
        f"np.argwhere({where} == {biggest}).flatten()",
        f"[a for a in range({size}) if {where}[a] == {biggest}]",
        f"np.nonzero({where} == {biggest})[0]",
    )
    draw = h.one("int(rng.choice($best))", "rng.choice($best)", "$best[rng.integers(len($best))]")
    test = h.one("rng.random() < epsilon", "rng.uniform() < epsilon", "rng.random() <= epsilon")
    if h.likes(0.3):
        lines += [f"if {test}:", f"    return {explore}", "else:", f"    $best = {ties}"]
        lines.append(f"    return {draw}")
    elif h.likes(0.3):
        lines += [f"$best = {ties}", f"return {explore} if {test} else {draw}"]
    else:
        lines += [f"if {test}:", f"    return {explore}", f"$best = {ties}", f"return {draw}"]
    return "\n".join(lines)


def _target(h: Habits, indent: str = "") -> list[str]:
    biggest = h.one("Q[next_obs].max()", "np.max(Q[next_obs])", "max(Q[next_obs])")
    kind = h.random.randrange(5)
    if kind == 0:
        lines = [
            f"$future = 0.0 if terminated else {biggest}",
            "$target = reward + gamma * $future",
        ]
    elif kind == 1:
        lines = [
            "if terminated:",
            "    $target = reward",
            "else:",
            f"    $target = reward + gamma * {biggest}",
        ]
    elif kind == 2:
        lines = ["$target = reward", "if not terminated:", f"    $target += gamma * {biggest}"]
    elif kind == 3:
        alive = h.one("(1 - terminated)", "(not terminated)", "(1 - int(terminated))")
        lines = [f"$target = reward + gamma * {biggest} * {alive}"]
    else:
        lines = [
            f"$future = {biggest}",
            "if terminated:",
            h.one("    $future = 0", "    $future = 0.0"),
            "$target = reward + gamma * $future",
        ]
    kind = h.random.randrange(4)
    if kind == 0:
        lines.append("Q[obs, action] += alpha * ($target - Q[obs, action])")
    elif kind == 1:
        lines += ["$error = $target - Q[obs, action]", "Q[obs, action] += alpha * $error"]
    elif kind == 2:
        lines.append("Q[obs, action] = (1 - alpha) * Q[obs, action] + alpha * $target")
    else:
        lines.append("Q[obs, action] = Q[obs, action] + alpha * ($target - Q[obs, action])")
    if h.likes(h.wordy * 0.3):
        lines = [line.replace("Q[obs, action]", "Q[obs][action]") for line in lines]
    return [indent + line for line in lines]


def _update(h: Habits) -> str:
    return "\n".join(_target(h))


def _episode(h: Habits) -> str:
    lines = [h.one("obs, _ = env.reset()", "obs, info = env.reset()", "obs = env.reset()[0]")]
    lines.append("$total = " + h.one("0.0", "0"))
    if h.likes(0.5):
        lines.reverse()
    names = h.one(
        "next_obs, reward, terminated, truncated, _",
        "next_obs, reward, terminated, truncated, info",
    )
    inner = [
        h.one(
            "action = choose_action(Q, obs, epsilon, rng)",
            "action = int(choose_action(Q, obs, epsilon, rng))",
        )
    ]
    inner.append(f"{names} = env.step(action)")
    if h.likes(0.4):
        inner.append(
            "q_update(Q, obs, action, reward, next_obs, terminated, alpha=alpha, gamma=gamma)"
        )
    else:
        inner += _target(h)
    add = h.one("$total += reward", "$total = $total + reward", "$total += float(reward)")
    inner.insert(h.random.choice((2, len(inner))), add)
    kind = h.random.randrange(3)
    if kind == 0:
        end = h.one("if terminated or truncated:", "if (terminated or truncated):")
        inner += h.one([end, "    break", "obs = next_obs"], ["obs = next_obs", end, "    break"])
        loop = h.one("for _ in range(max_steps):", "for $step in range(max_steps):")
    elif kind == 1:
        lines += ["$step = 0", "over = False"]
        if h.likes(0.5):
            lines[-2:] = ["$step, over = 0, False"]
        inner += ["obs = next_obs", "$step += 1", "over = terminated or truncated"]
        loop = h.one(
            "while not over and $step < max_steps:", "while $step < max_steps and not over:"
        )
    else:
        inner += ["if terminated or truncated:", "    return $total", "obs = next_obs"]
        loop = "for $step in range(max_steps):"
    return "\n".join([*lines, loop, *("    " + line for line in inner), "return $total"])


def _evaluate(h: Habits) -> str:
    listed = h.likes(0.4)
    lines = [
        "$rows = []"
        if listed
        else h.one("$rows = np.zeros(num_episodes)", "$rows = np.zeros((num_episodes,))")
    ]
    index = h.one("i", "episode", "ep", "e", "n")
    lines.append(
        "for _ in range(num_episodes):" if listed else f"for {index} in range(num_episodes):"
    )
    body = [h.one("obs, _ = env.reset()", "obs = env.reset()[0]")]
    direct = not listed and h.likes(0.5)
    if not direct:
        body.append("$total = " + h.one("0.0", "0"))
    body.append(h.one("for _ in range(max_steps):", "for $step in range(max_steps):"))
    body.append(
        "    "
        + h.one(
            "action = choose_action(Q, obs, epsilon, rng)",
            "$best = choose_action(Q, obs, epsilon, rng)",
        )
    )
    action = body[-1].split()[0]
    body.append(f"    obs, reward, terminated, truncated, _ = env.step({action})")
    body.append(f"    $rows[{index}] += reward" if direct else "    $total += reward")
    body += ["    if terminated or truncated:", "        break"]
    if not direct:
        body.append("$rows.append($total)" if listed else f"$rows[{index}] = $total")
    end = h.one("return np.array($rows)", "return np.asarray($rows)") if listed else "return $rows"
    return "\n".join([*lines, *("    " + line for line in body), end])


WRITERS: dict[str, Callable[[Habits], str]] = {
    "discounted_return": _discounted,
    "softmax": _softmax,
    "choose_action": _choose,
    "q_update": _update,
    "run_episode": _episode,
    "evaluate": _evaluate,
}


# -- those who copy ------------------------------------------------------------------------------


def renamed(answer: str, seed: int) -> str:
    """The answer with every local name changed, its comments replaced and its spacing changed."""
    random = Random(seed)
    head, body = answer.split(DOC)
    local = set(re.findall(r"\b([A-Za-z_]\w*)(?=(?:, \w+)* ?[+*]?=[^=])", body))
    local |= set(re.findall(r"\bfor (\w+)", body)) - {"_"}
    local -= {"Q", "obs", "action", "alpha", "gamma", "reward", "terminated"}
    for name in sorted(local):
        new = "".join(random.choice("abcdefghijklmnop") for _ in range(6))
        body = re.sub(rf"(?<![\w.]){name}\b(?!=[a-z])", new, body)
    body = re.sub(r"#.*", lambda _: "# " + " ".join(random.sample(WORDS.split(), 4)), body)
    lines = []
    for line in body.splitlines():
        lines.append(line.replace(" = ", "=").replace(" * ", "*"))
        if random.random() < 0.15:
            lines.append("")
    return f"{head}{DOC}" + "\n".join(lines)
