"""Shared components of HTML pages: templates, a style sheet, a script and colors.

Imports no other folder.
"""
