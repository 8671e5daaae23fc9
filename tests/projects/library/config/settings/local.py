from .base import *

DEBUG = True
SECRET_KEY = "only-for-development"
ALLOWED_HOSTS = ["localhost"]
INSTALLED_APPS += ["debug_toolbar"]
MIDDLEWARE += ["debug_toolbar.middleware.DebugToolbarMiddleware"]
