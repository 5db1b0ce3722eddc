//! The menu, and the names that rows are made of.

use anyhow::Result;

use super::writer::Csv;

/// Ingredients are a seed of the project; their ids run from 1.
pub const INGREDIENTS: u64 = 20;

pub const CITIES: [(&str, &str); 20] = [
    ("Berlin", "DE"),
    ("Hamburg", "DE"),
    ("Paris", "FR"),
    ("Lyon", "FR"),
    ("Naples", "IT"),
    ("Rome", "IT"),
    ("London", "GB"),
    ("Leeds", "GB"),
    ("New York", "US"),
    ("Chicago", "US"),
    ("Austin", "US"),
    ("Seattle", "US"),
    ("Toronto", "CA"),
    ("Montreal", "CA"),
    ("Recife", "BR"),
    ("Tokyo", "JP"),
    ("Osaka", "JP"),
    ("Sydney", "AU"),
    ("Perth", "AU"),
    ("Taipei", "TW"),
];

pub const FIRST_NAMES: [&str; 16] = [
    "Ada", "Ben", "Chiara", "Dewi", "Emil", "Fatima", "Goro", "Hana", "Ivan", "Jo", "Kim", "Luca", "Mei", "Nils",
    "Olga", "Pia",
];

pub const LAST_NAMES: [&str; 16] = [
    "Almeida", "Brown", "Costa", "Dubois", "Evans", "Fischer", "Garcia", "Haas", "Ito", "Jensen", "Khan", "Lopez",
    "Moreau", "Nowak", "Okafor", "Peters",
];

/// Name, category, price of a medium pizza in cents, and grams of each ingredient.
pub type Recipe = (&'static str, &'static str, u64, &'static [(u64, u64)]);

pub const RECIPES: [Recipe; 16] = [
    ("Margherita", "classic", 850, &[(1, 250), (2, 80), (3, 100), (4, 5)]),
    ("Salami", "meat", 980, &[(1, 250), (2, 80), (3, 100), (5, 70)]),
    ("Prosciutto", "meat", 1020, &[(1, 250), (2, 80), (3, 100), (6, 80)]),
    ("Funghi", "vegetarian", 950, &[(1, 250), (2, 80), (3, 100), (7, 80)]),
    ("Capricciosa", "meat", 1150, &[(1, 250), (2, 80), (3, 100), (6, 50), (7, 50), (9, 40), (8, 20)]),
    ("Quattro Formaggi", "vegetarian", 1180, &[(1, 250), (3, 80), (15, 50), (16, 30)]),
    ("Hawaii", "meat", 1050, &[(1, 250), (2, 80), (3, 100), (6, 60), (14, 80)]),
    ("Tonno", "fish", 1100, &[(1, 250), (2, 80), (3, 90), (11, 80), (13, 30)]),
    ("Napoli", "fish", 1020, &[(1, 250), (2, 80), (3, 90), (10, 30), (8, 20)]),
    ("Verdure", "vegetarian", 1080, &[(1, 250), (2, 80), (3, 90), (12, 50), (13, 30), (17, 40)]),
    ("Spinaci", "vegetarian", 1060, &[(1, 250), (2, 80), (3, 100), (17, 90), (15, 30)]),
    ("Bismarck", "meat", 1120, &[(1, 250), (2, 80), (3, 100), (6, 60), (18, 60)]),
    ("Diavola", "meat", 1090, &[(1, 250), (2, 90), (3, 100), (5, 80), (12, 30)]),
    ("Vegana", "vegan", 1130, &[(1, 250), (2, 90), (19, 90), (12, 50), (7, 40)]),
    ("Marinara", "vegan", 790, &[(1, 250), (2, 120), (13, 20)]),
    ("Dolce", "dessert", 750, &[(1, 200), (20, 90)]),
];

/// What a pizza of that size costs, in cents.
pub fn price_cents(recipe: u64, size: &str) -> u64 {
    let medium = RECIPES[recipe as usize - 1].2;
    match size {
        "small" => medium * 8 / 10,
        "large" => medium * 13 / 10,
        _ => medium,
    }
}

pub fn write(mut recipes: Csv, mut ingredients: Csv) -> Result<()> {
    for (index, (name, category, price, parts)) in RECIPES.iter().enumerate() {
        let recipe = index + 1;
        recipes.row(format_args!("{recipe},{name},{category},{price}"))?;
        for (ingredient, grams) in *parts {
            ingredients.row(format_args!("{recipe},{ingredient},{grams}"))?;
        }
    }
    recipes.finish()?;
    ingredients.finish()
}
