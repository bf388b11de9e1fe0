"""What all tests share: the rule that no test is skipped in silence."""

pytest_plugins = ["tests.skips", "tests.together"]
