//! What must hold for every state, as functions: run by the simulation after every step.
