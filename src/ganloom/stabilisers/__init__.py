"""Methods that stabilise training, for any recipe: settings, how they are applied, their modules."""
