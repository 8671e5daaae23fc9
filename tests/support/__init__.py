"""Code that several test folders share: Lambda events and a fake AWS."""
