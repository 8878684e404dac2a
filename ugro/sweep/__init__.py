"""How is a study run? Space, proposals, launches, results. No torch."""
