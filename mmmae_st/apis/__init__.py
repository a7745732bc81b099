"""What people call from Python on trained weights."""
