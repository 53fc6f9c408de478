"""The believable clinic of the demonstration: four providers in four time zones."""
