//! Laws that hold for any input, checked against small models.
