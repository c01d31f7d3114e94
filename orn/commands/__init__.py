"""The commands of `orn`: each file parses options, calls one function of the library and prints."""
