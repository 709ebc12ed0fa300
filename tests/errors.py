"""What the tests of refused input share."""


def one_line(error):
    """The message of a caught error, which must be a single line."""
    message = str(error.value)
    assert "\n" not in message
    return message
