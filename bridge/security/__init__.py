"""Who calls: API keys, transport security, and what a hardened bridge does without."""
