//! Mistakes that real sources make. Each is planted in the same few rows every time, so that a test can say exactly what it must find.

/// Which rows go wrong; nothing does by default.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    planted: bool,
}

impl Faults {
    pub fn planted() -> Self {
        Self { planted: true }
    }

    /// The 10th order carries the id of the 9th.
    pub fn repeats_key(self, order: u64) -> bool {
        self.planted && order == 10
    }

    /// The 20th order has no customer.
    pub fn drops_customer(self, order: u64) -> bool {
        self.planted && order == 20
    }

    /// The 30th order has a status nobody knows.
    pub fn breaks_status(self, order: u64) -> bool {
        self.planted && order == 30
    }

    /// The 40th order asks for a pizza that is not on the menu.
    pub fn breaks_recipe(self, order: u64) -> bool {
        self.planted && order == 40
    }

    /// The 50th order has a negative number of pizzas.
    pub fn turns_negative(self, order: u64) -> bool {
        self.planted && order == 50
    }

    /// The 5th delivery arrives before it leaves.
    pub fn travels_back(self, delivery: u64) -> bool {
        self.planted && delivery == 5
    }
}
