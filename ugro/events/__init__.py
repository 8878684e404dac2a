"""Events of a study, the log they are kept in, and reports of a trial."""
