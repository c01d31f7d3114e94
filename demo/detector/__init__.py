"""Train the detector of the demo world. May import `demo.world`, `shared` and both stages."""
