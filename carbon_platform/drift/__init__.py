"""What is live otherwise than it was deployed: which object, which field, who changed it and when."""
