"""What an instructor keeps: one folder per lab, with its prose, its answers and its checks."""
