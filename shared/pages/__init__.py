"""Shared parts of HTML pages: templates, a style sheet, a script and colours."""
