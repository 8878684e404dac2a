"""Events of a study, the log that stores them, and the reports of a trial."""
