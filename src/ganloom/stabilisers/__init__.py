"""What steadies training, for any recipe: settings, how they are applied, their modules."""
