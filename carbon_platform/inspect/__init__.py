"""What is: the plan and the status of each component, and what is desired of it; nothing is touched."""
