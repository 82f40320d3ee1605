"""Servers that tests of several folders start: each once a session, when the first test asks."""

pytest_plugins = ["tests.support.mariadb", "tests.support.redis"]
