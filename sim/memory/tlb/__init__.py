"""Address translation: TLBs, page walks and the loads of the page walker."""
