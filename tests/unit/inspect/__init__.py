"""Looking at the platform, in memory."""
