//! Pure decisions: which target serves a turn, and what to do after a fault.
