//! What a customer's device and phone record: about thirty moments, at each of which the motion
//! sensor reads once and the phone one to three times.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::customers::Customer;

const MOMENTS: u64 = 30;
const HOUR: u64 = 3_600_000;

/// The records of one moment as JSON objects.
pub(super) struct Moment {
    pub step_trainer: String,
    pub accelerometer: Vec<String>,
}

/// Everything that one customer's device and phone record.
pub(super) fn moments(customer: &Customer, random: &mut ChaCha8Rng) -> Vec<Moment> {
    let begin = customer.registered + random.random_range(0..48 * HOUR);
    let step = random.random_range(900..3500);
    // Phones of a few customers name the device instead of the customer.
    let by_device = !customer.shares_device && random.random_bool(0.02);
    (0..MOMENTS).map(|number| moment(customer, begin + number * step, by_device, random)).collect()
}

fn moment(customer: &Customer, time: u64, by_device: bool, random: &mut ChaCha8Rng) -> Moment {
    let distance = random.random_range(200..=300);
    let step_trainer = match random.random_bool(0.0005) {
        true => format!("{{\"sensorReadingTime\":{time},\"distanceFromObject\":{distance}}}"),
        false => format!(
            "{{\"sensorReadingTime\":{time},\"serialNumber\":\"{}\",\"distanceFromObject\":{distance}}}",
            customer.device
        ),
    };
    let who = match by_device {
        true => format!("\"serialNumber\":\"{}\"", customer.device),
        false => format!("\"user\":\"{}\"", customer.email),
    };
    let readings = [1, 2, 2, 3, 3, 3, 3, 3, 3, 3].choose(random).copied().unwrap_or(3);
    let accelerometer = (0..readings)
        .map(|_| {
            let [x, y, z] = std::array::from_fn(|_| [-1.0, 0.0, 1.0][random.random_range(0..3)]);
            match random.random_bool(0.0003) {
                true => format!("{{{who},\"timestamp\":{time},\"x\":NaN,\"y\":{y:?},\"z\":{z:?}}}"),
                false => {
                    format!("{{{who},\"timestamp\":{time},\"x\":{x:?},\"y\":{y:?},\"z\":{z:?}}}")
                }
            }
        })
        .collect();
    Moment { step_trainer, accelerometer }
}
