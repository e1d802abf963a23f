"""Every reader of files against files made to break it; see README.md beside this."""
