"""Where the product's own files are: in the checkout, or in the installed package."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = PACKAGE.parents[1]
IS_CHECKOUT = (_CHECKOUT / "awscdk" / "app.py").is_file()
PRODUCT = _CHECKOUT if IS_CHECKOUT else PACKAGE / "product_files"
"""The folder with the CDK app, the functions and the pins of the tools, laid out as in the
checkout."""
