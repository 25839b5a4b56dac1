"""Plans and outcomes as text for people and as JSON for programs. Pure: nothing is printed here."""
