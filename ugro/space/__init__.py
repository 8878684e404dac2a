"""What may be tried? Search space, composed configurations, constraints on both."""
