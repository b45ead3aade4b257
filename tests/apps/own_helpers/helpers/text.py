GREETING = "from the app's own helpers"
