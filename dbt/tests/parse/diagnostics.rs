//! What is found in broken projects.
