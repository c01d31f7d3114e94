"""What all pages share: templates, one style sheet, one script, and colours."""
