//! Sample data of the same shape as STEDI's: about a thousand customers at scale 1, half of whom
//! consent, with the quirks of the published revisions and some records that are broken.
//!
//! The same seed and scale give the same bytes: every customer is made by a generator of their
//! own, seeded by their number.

mod customers;
mod files;
mod readings;

use std::io;
use std::path::Path;

use customers::Customer;
use files::Folder;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Customers at scale 1.
const CUSTOMERS: f64 = 1000.0;

/// What sample to make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// Thousands of customers.
    pub scale: f64,
}

impl Sample {
    /// Writes `customer`, `accelerometer` and `step_trainer` with their files below a folder, over
    /// what is there, in memory that does not grow with the scale.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let mut customers = Folder::create(folder, "customer", files::CUSTOMER)?;
        let mut accelerometer = Folder::create(folder, "accelerometer", files::ACCELEROMETER)?;
        let mut step_trainer = Folder::create(folder, "step_trainer", files::STEP_TRAINER)?;
        let count = (CUSTOMERS * self.scale).ceil() as u64;
        for number in 0..count {
            let customer = self.customer(number);
            for record in customer.records(&mut self.random(number, 1)) {
                customers.write(number, count, &record)?;
            }
            for moment in readings::moments(&customer, &mut self.random(number, 2)) {
                for record in &moment.accelerometer {
                    accelerometer.write(number, count, record)?;
                }
                step_trainer.write(number, count, &moment.step_trainer)?;
            }
        }
        customers.finish()?;
        accelerometer.finish()?;
        step_trainer.finish()
    }

    /// The customer of a number. Some share the device of the customer before them.
    fn customer(&self, number: u64) -> Customer {
        let mut customer = Customer::new(number, &mut self.random(number, 0));
        if customer.shares_device && number > 0 {
            let neighbour = Customer::new(number - 1, &mut self.random(number - 1, 0));
            customer.device = neighbour.device;
        }
        customer
    }

    fn random(&self, number: u64, stream: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(number * 4 + stream);
        random
    }
}
