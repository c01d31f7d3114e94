"""The detector of the demo world and its accuracy. May import `demo.world` and `shared`."""
