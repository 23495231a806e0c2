//! The virtual machine monitor of Guesthouse and its library of machines.
