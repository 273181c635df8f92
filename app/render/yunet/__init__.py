"""YuNet: its weights, the network on numpy, and what the network's answers mean."""
