"""One module per command: read the options, call the layers below, print the result."""
