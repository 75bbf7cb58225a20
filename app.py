"""SER Studio's page, here and on a Hugging Face Space: `python app.py [--model NAME]`."""

from ser_ui.__main__ import main

if __name__ == "__main__":
    main()
