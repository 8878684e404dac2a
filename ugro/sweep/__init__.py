"""The sweep: the driver that plans a study, runs its trials and records their results."""
