"""What a question may take, in time and size, whichever library asks it."""
