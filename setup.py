"""Map conf/, which stays at the top of the repository, into the package; see pyproject.toml."""

from setuptools import find_namespace_packages, find_packages, setup

GROUPS = find_namespace_packages("conf", exclude=["local"])  # local: a user's own, untracked

setup(
    packages=[
        *find_packages(include=["ugro", "ugro.*"]),
        "ugro.trial.model.architectures",  # files alone
        "ugro.conf",
        *(f"ugro.conf.{group}" for group in GROUPS),
    ],
    package_dir={"ugro.conf": "conf"},
    package_data={
        "": ["*.yaml"],
        "ugro": ["py.typed"],
        "ugro.analysis.report": ["*.css", "*.j2", "*.js"],
        "ugro.trial.model.architectures": ["*.json"],
    },
)
