"""What the packages underneath need. Imported before torch, so nothing is imported here."""
