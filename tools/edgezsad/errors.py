"""The one kind of error that is the user's to mend."""


class UserError(Exception):
    """Input that cannot be used. The message says what is wrong, where, and what would be right."""
