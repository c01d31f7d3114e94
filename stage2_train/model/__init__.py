"""The network: a 2.5D ResNet, an activity head, and an object head that relates objects.

May import `settings` and `shared`.
"""
