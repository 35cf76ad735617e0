//! Customers and their records.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

const FIRST: [&str; 20] = [
    "Ada", "Bela", "Chen", "Dina", "Emre", "Farah", "Goran", "Hana", "Ivo", "Jamila", "Kofi",
    "Lena", "Mateo", "Nadia", "Omar", "Priya", "Quinn", "Rosa", "Sven", "Yuki",
];
const LAST: [&str; 20] = [
    "Abel",
    "Bianchi",
    "Costa",
    "Dvorak",
    "Eriksen",
    "Fischer",
    "Garcia",
    "Haddad",
    "Ito",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Mbeki",
    "Novak",
    "Okafor",
    "Petrov",
    "Rossi",
    "Silva",
    "Tanaka",
    "Weber",
];
/// 2022-06-18, where the published data begins.
const BEGIN: u64 = 1_655_510_400_000;
const DAY: u64 = 86_400_000;

/// A customer as far as the sample needs to know.
pub(super) struct Customer {
    pub name: String,
    pub email: String,
    pub device: String,
    pub shares_device: bool,
    /// When the customer registered, in epoch milliseconds.
    pub registered: u64,
    consent: Option<u64>,
    number: u64,
}

impl Customer {
    pub fn new(number: u64, random: &mut ChaCha8Rng) -> Self {
        let first = FIRST.choose(random).copied().unwrap_or_default();
        let last = LAST.choose(random).copied().unwrap_or_default();
        let registered = BEGIN + random.random_range(0..30 * DAY);
        let consent = random.random_bool(0.5).then(|| registered + random.random_range(0..DAY));
        Self {
            name: format!("{first} {last}"),
            email: format!("{first}.{last}{number}@example.com"),
            device: uuid::Builder::from_random_bytes(random.random()).into_uuid().to_string(),
            shares_device: random.random_bool(0.01),
            registered,
            consent,
            number,
        }
    }

    /// The customer's records as JSON objects: one, now and then a later one too, now and then one
    /// that is broken.
    pub fn records(&self, random: &mut ChaCha8Rng) -> Vec<String> {
        let mut records = vec![self.record(self.registered, self.consent, random)];
        if random.random_bool(0.02) {
            let later = self.registered + random.random_range(DAY..20 * DAY);
            let kept = self.consent.filter(|_| random.random_bool(0.5));
            records.push(self.record(later, kept, random));
        }
        if random.random_bool(0.003) {
            records.push(match random.random_range(0..3) {
                0 => self.record(self.registered, None, random).replace("\"email\"", "\"mail\""),
                1 => format!("{{\"customerName\":\"{}\",\"email\":", self.name),
                _ => self.record(32_503_680_000_000, self.consent, random), // the year 3000
            });
        }
        records
    }

    fn record(&self, updated: u64, consent: Option<u64>, random: &mut ChaCha8Rng) -> String {
        let phone = 8_015_550_000 + self.number % 10_000;
        let phone = match random.random_bool(0.05) {
            true => phone.to_string(),
            false => format!("\"{phone}\""),
        };
        let birthday = format!(
            "{}-{:02}-{:02}",
            random.random_range(1940..2005),
            1 + self.number % 12,
            1 + self.number % 28
        );
        let epoch = |millis: u64, float: bool| match float {
            true => format!("{millis}.0"),
            false => millis.to_string(),
        };
        let float = random.random_bool(0.05);
        let share = match consent {
            Some(millis) => format!(",\"shareWithResearchAsOfDate\":{}", epoch(millis, float)),
            None => {
                let forms = ["", ":null", ":\"\"", ":0"];
                match forms.choose(random).copied().unwrap_or_default() {
                    "" => String::new(),
                    value => format!(",\"shareWithResearchAsOfDate\"{value}"),
                }
            }
        };
        format!(
            "{{\"customerName\":\"{}\",\"email\":\"{}\",\"phone\":{phone},\"birthDay\":\"{birthday}\",\
             \"serialNumber\":\"{}\",\"registrationDate\":{},\"lastUpdateDate\":{}{share}}}",
            self.name,
            self.email,
            self.device,
            epoch(self.registered, float),
            epoch(updated, float),
        )
    }
}
