"""What the page is made of. `app.py` launches it; everything it shows comes from `ser_core`."""
