"""What is broken, what to heal now and how, and the story of it: symptoms → decision → a healing run → its end."""
