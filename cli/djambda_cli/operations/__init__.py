"""Operations on a deployment that commands share, or that are more than a command's own file."""
