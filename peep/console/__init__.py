"""The web console: HTTP and WebSockets for people who have no loudspeaker here."""
